"""The SMA cross as a freqtrade strategy; runs in freqtrade's own environment only."""

# mypy: ignore-errors

from freqtrade.strategy import IStrategy


class SmaCross(IStrategy):
    """Hold one position while SMA(10) is above SMA(30)."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {"0": 1e9}  # noqa: RUF012 - the attribute freqtrade reads
    stoploss = -0.99
    startup_candle_count = 30
    process_only_new_candles = True
    use_exit_signal = True

    def populate_indicators(self, dataframe, metadata):
        """Add both averages."""
        dataframe["fast"] = dataframe["close"].rolling(10).mean()
        dataframe["slow"] = dataframe["close"].rolling(30).mean()
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        """Enter in the bar of the cross above."""
        above = dataframe["fast"] > dataframe["slow"]
        dataframe.loc[above & ~above.shift(1, fill_value=False), "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        """Leave in the bar of the cross below."""
        below = dataframe["fast"] < dataframe["slow"]
        dataframe.loc[below & ~below.shift(1, fill_value=False), "exit_long"] = 1
        return dataframe
