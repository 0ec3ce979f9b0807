from company.models import Base
from dbtasks.migrations import environment

environment.run(Base.metadata)
