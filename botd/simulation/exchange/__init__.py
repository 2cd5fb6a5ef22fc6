"""A venue behind a network that does what venues do, outlives the daemon, and knows what truly happened."""
