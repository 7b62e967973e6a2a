"""Measurements as ratios: every figure stands beside its peer or limit, measured in the same run."""
