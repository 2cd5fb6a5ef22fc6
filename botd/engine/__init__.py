"""Event rows, kernels, the block VM, rule machines and the fill model. Pure."""
