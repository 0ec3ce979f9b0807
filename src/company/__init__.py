"""The reference project of dbtasks: departments and their employees."""
