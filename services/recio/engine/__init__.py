"""Pure folds ``step(state, event) -> (state, commands)``: the same code live, in paper, in backtest."""
