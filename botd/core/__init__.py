"""Money, orders, risk and the order of the stages. Pure: no I/O, no clock, no dice."""
