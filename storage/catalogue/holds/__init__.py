"""Holds in the catalogue: whom they concern, proceedings behind them, proposed releases."""
