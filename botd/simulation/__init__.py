"""The world of a test: one seed decides time, order, faults and crashes, the same way every time."""
