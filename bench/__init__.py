"""What a decision, a Check and a batch cost, and what stock Casbin costs: measured here, written to RESULTS.md."""
