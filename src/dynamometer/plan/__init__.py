"""Campaign -> Plan: expand, check, order. Pure functions; what machine and models offer is handed in as values."""
