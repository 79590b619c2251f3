"""When: one Prefect flow per delinquency stage, and the flows around them."""
