"""What the tables say: people, claims, misreadings, tuning."""
