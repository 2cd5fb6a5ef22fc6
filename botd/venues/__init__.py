"""Where orders go: the simulated venue."""
