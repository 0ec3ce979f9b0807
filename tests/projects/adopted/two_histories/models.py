from sqlalchemy import Column, Integer, MetaData, Table

sales = MetaData()
stock = MetaData()

invoice = Table("invoice", sales, Column("id", Integer, primary_key=True))
shelf = Table("shelf", stock, Column("id", Integer, primary_key=True))
