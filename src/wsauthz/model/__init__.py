"""The nouns, their own rules, and every error. Standard library only."""
