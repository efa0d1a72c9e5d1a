"""MLflow's runs and models into the ledger, and ours into an MLflow store."""
