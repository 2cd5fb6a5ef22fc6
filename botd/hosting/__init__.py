"""The processes and the folders that a daemon runs among: a dashboard beside it, a container around it."""
