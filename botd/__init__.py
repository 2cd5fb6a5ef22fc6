"""botd: a trading daemon whose bots are folders of YAML."""

__version__ = "0.1.0"
