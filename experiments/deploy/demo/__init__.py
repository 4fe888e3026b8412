"""A page on which two readers answer side by side, and what it asks for."""
