CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001_department_employee');
CREATE TABLE dbtasks_environment (
	id INTEGER NOT NULL,
	name VARCHAR(100) NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "dbtasks_environment" VALUES(1,'test');
CREATE TABLE dbtasks_journal (
	id INTEGER NOT NULL,
	written_at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL,
	os_user VARCHAR(100) NOT NULL,
	host VARCHAR(100) NOT NULL,
	command TEXT NOT NULL,
	row_count INTEGER NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "dbtasks_journal" VALUES(1,'2026-11-30 23:06:45','deploy','web','add --model Department --set name=…',1);
INSERT INTO "dbtasks_journal" VALUES(2,'2026-11-30 23:06:45','deploy','web','loaddata --input /srv/shop/people.csv --model Employee --batch-size 2',2);
INSERT INTO "dbtasks_journal" VALUES(3,'2026-11-30 23:06:45','deploy','web','loaddata --input /srv/shop/people.csv --model Employee --batch-size 2',2);
INSERT INTO "dbtasks_journal" VALUES(4,'2026-11-30 23:06:45','deploy','web','loaddata --input /srv/shop/people.csv --model Employee --batch-size 2',2);
CREATE TABLE dbtasks_load (
	id INTEGER NOT NULL,
	command VARCHAR(100) NOT NULL,
	tables TEXT NOT NULL,
	source TEXT NOT NULL,
	size INTEGER NOT NULL,
	section INTEGER NOT NULL,
	done BIGINT NOT NULL,
	digest VARCHAR(64),
	holder VARCHAR(200) NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "dbtasks_load" VALUES(1,'loaddata','employee','/srv/shop/people.csv',2,0,6,'c89d0296173bd4a0365ef49b53a371db3ffd6518a178797d6ed5cc84cc79b486','deploy@web:4711');
CREATE TABLE dbtasks_migration (
	id INTEGER NOT NULL,
	revision VARCHAR(200) NOT NULL,
	parents TEXT NOT NULL,
	backwards BOOLEAN NOT NULL,
	state VARCHAR(20) NOT NULL,
	done INTEGER NOT NULL,
	what TEXT,
	digest VARCHAR(64) NOT NULL,
	started DOUBLE NOT NULL,
	seconds DOUBLE,
	holder VARCHAR(200) NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "dbtasks_migration" VALUES(1,'0001_department_employee','',0,'applied',2,NULL,'3a4787acd937396c9c27ab9738b4641817b7163cf3e4a438e7dfbf8c05af2eef',1.79608000511501574511e+09,9.44710899989331664983e-03,'deploy@web:4711');
INSERT INTO "dbtasks_migration" VALUES(2,'0002_place','0001_department_employee',0,'failed',2,NULL,'bf3216667090c0f958727179e09064475cb285ef6ef1f4a565ba7fa88acc820e',1.7960800052819833755e+09,NULL,'deploy@web:4711');
CREATE TABLE department (
	id INTEGER NOT NULL,
	name VARCHAR(50) NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "department" VALUES(1,'Engineering');
INSERT INTO "department" VALUES(2,'Sales');
CREATE TABLE employee (
	id INTEGER NOT NULL,
	name VARCHAR(100) NOT NULL,
	dept_id INTEGER NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(dept_id) REFERENCES department (id)
);
INSERT INTO "employee" VALUES(1,'Alice',1);
INSERT INTO "employee" VALUES(2,'Bob',1);
INSERT INTO "employee" VALUES(3,'Person 3',1);
INSERT INTO "employee" VALUES(4,'Person 4',1);
INSERT INTO "employee" VALUES(5,'Person 5',1);
INSERT INTO "employee" VALUES(6,'Person 6',1);
INSERT INTO "employee" VALUES(7,'Person 7',1);
INSERT INTO "employee" VALUES(8,'Person 8',1);
CREATE TABLE place (
	id INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE visit (
	id INTEGER NOT NULL,
	PRIMARY KEY (id)
);
