"""Staff performance: the organisation, who answers for which client, and KPIs that can name every event behind them."""
