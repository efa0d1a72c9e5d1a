"""AutoML for tables: a time box, honest intervals, and a model version at the end."""
