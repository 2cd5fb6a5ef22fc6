"""Sources of market rows: recorded files and the synthetic market."""
