"""Many runs: what is planned, and who makes it."""
