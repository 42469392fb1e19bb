"""Who may reach whom, decided without IO."""
