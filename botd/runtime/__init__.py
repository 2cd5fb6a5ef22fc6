"""Drivers of the core: clock, loops, supervision, shutdown, schedule."""
