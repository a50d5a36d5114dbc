"""What happens when the database, its notifications or servers themselves fail (reliability.md section 3)."""
