from dbtasks import collection

ns = collection(
    metadata="company.models:Base",
    seeds="company.seeds:seed",
    default_model="Employee",
    default_url="sqlite:///app.db",
)
