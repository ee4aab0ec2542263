"""Before anything is touched: what is checked, what is planned, which permissions are there, which fences hold."""
