"""Strategy text to a checked, unit-typed expression graph and its int64 program. Pure."""
