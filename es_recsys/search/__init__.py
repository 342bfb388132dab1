"""Search and recommendation as pure functions: a Context in, request bodies out; responses in, a Ranking out (see `answer`)."""
