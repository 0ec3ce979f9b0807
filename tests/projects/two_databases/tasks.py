"""One project mounted twice, each on a database of its own."""

from invoke import Collection

from dbtasks import collection

company = {
    "metadata": "company.models:Base",
    "seeds": "company.seeds:seed",
    "default_model": "Employee",
}

ns = Collection(
    one=collection(default_url="sqlite:///one.db", url_variable="ONE_URL", **company),
    two=collection(default_url="sqlite:///two.db", url_variable="TWO_URL", **company),
)
