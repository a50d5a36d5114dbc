"""wsauthz: who may do what in which workspace, why not, and who can fix it."""
