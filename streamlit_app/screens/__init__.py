"""The pages of the dashboard. They read the state file read-only and act through the daemon's API alone."""
