"""Backtest reports and bulk runs."""
