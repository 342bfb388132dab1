"""Search and recommendation as pure functions: request, user state and policy in, bodies out; responses in, a Ranking out."""
