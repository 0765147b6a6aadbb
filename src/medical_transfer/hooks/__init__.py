"""What happens around a run: guards at the door, the clock, and the record in MLflow."""
