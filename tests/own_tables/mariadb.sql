CREATE TABLE `alembic_version` (
  `version_num` varchar(32) NOT NULL,
  PRIMARY KEY (`version_num`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `alembic_version` VALUES ('0001_department_employee');
CREATE TABLE `dbtasks_environment` (
  `id` int(11) NOT NULL,
  `name` varchar(100) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `dbtasks_environment` VALUES (1,'test');
CREATE TABLE `dbtasks_journal` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `written_at` datetime NOT NULL DEFAULT current_timestamp(),
  `os_user` varchar(100) NOT NULL,
  `host` varchar(100) NOT NULL,
  `command` text NOT NULL,
  `row_count` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `dbtasks_journal` VALUES (1,'2026-11-30 23:07:00','deploy','web','add --model Department --set name=…',1);
INSERT INTO `dbtasks_journal` VALUES (2,'2026-11-30 23:07:00','deploy','web','loaddata --input /srv/shop/people.csv --model Employee --batch-size 2',2);
INSERT INTO `dbtasks_journal` VALUES (3,'2026-11-30 23:07:00','deploy','web','loaddata --input /srv/shop/people.csv --model Employee --batch-size 2',2);
INSERT INTO `dbtasks_journal` VALUES (4,'2026-11-30 23:07:00','deploy','web','loaddata --input /srv/shop/people.csv --model Employee --batch-size 2',2);
CREATE TABLE `dbtasks_lease` (
  `id` int(11) NOT NULL,
  `owner` varchar(100) NOT NULL,
  `holder` varchar(200) NOT NULL,
  `started` double NOT NULL,
  `beat` double DEFAULT NULL,
  `connection_id` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `dbtasks_lease` VALUES (1,'30372271-43df-4656-ab99-1905a929a515','web:4712 migrate',1796080020.619565,1796080020.619574,NULL);
CREATE TABLE `dbtasks_load` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `command` varchar(100) NOT NULL,
  `tables` text NOT NULL,
  `source` text NOT NULL,
  `size` int(11) NOT NULL,
  `section` int(11) NOT NULL,
  `done` bigint(20) NOT NULL,
  `digest` varchar(64) DEFAULT NULL,
  `holder` varchar(200) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `dbtasks_load` VALUES (1,'loaddata','employee','/srv/shop/people.csv',2,0,6,'c89d0296173bd4a0365ef49b53a371db3ffd6518a178797d6ed5cc84cc79b486','deploy@web:4711');
CREATE TABLE `dbtasks_migration` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `revision` varchar(200) NOT NULL,
  `parents` text NOT NULL,
  `backwards` tinyint(1) NOT NULL,
  `state` varchar(20) NOT NULL,
  `done` int(11) NOT NULL,
  `what` text DEFAULT NULL,
  `digest` varchar(64) NOT NULL,
  `started` double NOT NULL,
  `seconds` double DEFAULT NULL,
  `holder` varchar(200) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `dbtasks_migration` VALUES (1,'0001_department_employee','',0,'applied',2,NULL,'d69023df9bf0964350532a8cdb22be7776c0400e817c675355b84e6bb0c7207d',1796080019.49901,0.03876318199991147,'deploy@web:4711');
INSERT INTO `dbtasks_migration` VALUES (2,'0002_place','0001_department_employee',0,'failed',2,'add_column nowhere.street','a8dd944286c7c20adf7ab6b42085a7ebeaa127d85298399ae64feffa8e80d851',1796080020.238206,NULL,'deploy@web:4711');
CREATE TABLE `department` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(50) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `department` VALUES (1,'Engineering');
INSERT INTO `department` VALUES (2,'Sales');
CREATE TABLE `employee` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(100) NOT NULL,
  `dept_id` int(11) NOT NULL,
  PRIMARY KEY (`id`),
  KEY `dept_id` (`dept_id`),
  CONSTRAINT `employee_ibfk_1` FOREIGN KEY (`dept_id`) REFERENCES `department` (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
INSERT INTO `employee` VALUES (1,'Alice',1);
INSERT INTO `employee` VALUES (2,'Bob',1);
INSERT INTO `employee` VALUES (3,'Person 3',1);
INSERT INTO `employee` VALUES (4,'Person 4',1);
INSERT INTO `employee` VALUES (5,'Person 5',1);
INSERT INTO `employee` VALUES (6,'Person 6',1);
INSERT INTO `employee` VALUES (7,'Person 7',1);
INSERT INTO `employee` VALUES (8,'Person 8',1);
CREATE TABLE `place` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE `visit` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
