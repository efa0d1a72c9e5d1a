"""What work costs: prices with their source and date, usage in the ledger, money in pico-dollars."""
