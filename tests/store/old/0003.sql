BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE artifacts (
	job_id INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	name TEXT NOT NULL, 
	step INTEGER, 
	time FLOAT NOT NULL, 
	CONSTRAINT pk_artifacts PRIMARY KEY (job_id, path), 
	CONSTRAINT fk_artifacts_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE attempts (
	job_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	claimed_at FLOAT NOT NULL, 
	started_at FLOAT, 
	ended_at FLOAT, 
	exit_code INTEGER, 
	outcome TEXT, 
	process JSON, 
	usage JSON, 
	devices JSON NOT NULL, changes JSON, 
	CONSTRAINT pk_attempts PRIMARY KEY (job_id, number), 
	CONSTRAINT fk_attempts_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "attempts" VALUES(1,1,1.79528749241966772073e+09,1.0,1.79528749243255639073e+09,0,'succeeded','{"started_at": 1.0}','null','[]',NULL);
CREATE TABLE daemon (
	id INTEGER NOT NULL, 
	pid INTEGER NOT NULL, 
	started_at FLOAT NOT NULL, 
	seen_at FLOAT NOT NULL, 
	stopped_at FLOAT, 
	cpu_slots INTEGER NOT NULL, 
	gpus JSON NOT NULL, wish TEXT, 
	CONSTRAINT pk_daemon PRIMARY KEY (id)
);
CREATE TABLE dependencies (
	job_id INTEGER NOT NULL, 
	needs_job_id INTEGER NOT NULL, 
	alias TEXT, 
	CONSTRAINT pk_dependencies PRIMARY KEY (job_id, needs_job_id), 
	CONSTRAINT fk_dependencies_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT fk_dependencies_needs_job_id FOREIGN KEY(needs_job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE examples (
	job_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	example_id TEXT NOT NULL, 
	sample INTEGER NOT NULL, 
	strict BOOLEAN NOT NULL, 
	robust BOOLEAN NOT NULL, 
	fields JSON NOT NULL, 
	CONSTRAINT pk_examples PRIMARY KEY (job_id, "key"), 
	CONSTRAINT fk_examples_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE experiments (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	recipe_path TEXT NOT NULL, 
	recipe_text TEXT NOT NULL, 
	provenance JSON NOT NULL
, "key" TEXT, hold_after JSON, failures_since FLOAT);
INSERT INTO "experiments" VALUES(1,'old',1.79528749241385054587e+09,'','','{}',NULL,'null',NULL);
CREATE TABLE gpu_reservations (
	uuid TEXT NOT NULL, 
	job_id INTEGER NOT NULL, 
	memory_bytes INTEGER, 
	CONSTRAINT pk_gpu_reservations PRIMARY KEY (uuid, job_id), 
	CONSTRAINT fk_gpu_reservations_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE groups (
	name TEXT NOT NULL, 
	slots INTEGER, 
	paused BOOLEAN NOT NULL, 
	CONSTRAINT pk_groups PRIMARY KEY (name)
);
CREATE TABLE jobs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	experiment_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	engine TEXT NOT NULL, 
	recipe JSON NOT NULL, 
	status TEXT NOT NULL, 
	priority INTEGER NOT NULL, 
	held BOOLEAN NOT NULL, 
	cancel_requested BOOLEAN NOT NULL, 
	gpus INTEGER, 
	retries_left INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	ended_at FLOAT, 
	exit_code INTEGER, 
	reason TEXT, 
	progress_done FLOAT, 
	progress_total FLOAT, 
	progress_unit TEXT, 
	progress_at FLOAT, 
	events_offset INTEGER NOT NULL, 
	unreadable_lines INTEGER NOT NULL, gpu_memory INTEGER, "group" TEXT, not_before FLOAT, fallbacks INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT fk_jobs_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id), 
	CONSTRAINT uq_jobs_experiment_id_name UNIQUE (experiment_id, name)
);
INSERT INTO "jobs" VALUES(1,1,'train','sft','{"engine": "sft"}','succeeded',0,0,0,0,0,1,1.79528749241385054587e+09,1.0,1.79528749243255639073e+09,0,NULL,NULL,NULL,NULL,NULL,100,0,NULL,NULL,NULL,0);
CREATE TABLE messages (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	time FLOAT NOT NULL, 
	kind TEXT NOT NULL, 
	level TEXT NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_messages PRIMARY KEY (id), 
	CONSTRAINT fk_messages_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE points (
	series_id INTEGER NOT NULL, 
	ordinal INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	value FLOAT, 
	time FLOAT NOT NULL, 
	attempt INTEGER NOT NULL, 
	CONSTRAINT pk_points PRIMARY KEY (series_id, ordinal)
)
 WITHOUT ROWID

;
INSERT INTO "points" VALUES(1,0,1,2.0,1795232049.0,1);
INSERT INTO "points" VALUES(1,1,2,1.0,1795232049.0,1);
CREATE TABLE retracted_points (
	id INTEGER NOT NULL, 
	series_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	value FLOAT, 
	time FLOAT NOT NULL, 
	attempt INTEGER NOT NULL, 
	CONSTRAINT pk_retracted_points PRIMARY KEY (id)
);
CREATE TABLE rollups (
	series_id INTEGER NOT NULL, 
	level INTEGER NOT NULL, 
	bucket INTEGER NOT NULL, 
	first_step INTEGER NOT NULL, 
	last_step INTEGER NOT NULL, 
	low FLOAT, 
	high FLOAT, 
	missing INTEGER NOT NULL, 
	CONSTRAINT pk_rollups PRIMARY KEY (series_id, level, bucket)
)
 WITHOUT ROWID

;
CREATE TABLE schedules (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name TEXT NOT NULL, 
	cron TEXT NOT NULL, 
	submission JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	next_at FLOAT, 
	last_at FLOAT, 
	last_experiment_id INTEGER, 
	paused BOOLEAN NOT NULL
);
CREATE TABLE scores (
	job_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	value FLOAT, 
	fields JSON NOT NULL, 
	CONSTRAINT pk_scores PRIMARY KEY (job_id, name), 
	CONSTRAINT fk_scores_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "scores" VALUES(1,'strict',0.5,'{}');
CREATE TABLE series (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	length INTEGER NOT NULL, 
	last_step INTEGER, 
	last_value FLOAT, 
	CONSTRAINT pk_series PRIMARY KEY (id), 
	CONSTRAINT fk_series_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_series_job_id_name UNIQUE (job_id, name)
);
INSERT INTO "series" VALUES(1,1,'loss',2,2,1.0);
CREATE TABLE transitions (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	time FLOAT NOT NULL, 
	from_status TEXT, 
	to_status TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	reason TEXT, 
	CONSTRAINT pk_transitions PRIMARY KEY (id), 
	CONSTRAINT fk_transitions_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "transitions" VALUES(1,1,1.79528749241385054587e+09,NULL,'queued',0,'submitted');
INSERT INTO "transitions" VALUES(2,1,1.79528749242405796055e+09,'queued','starting',1,'claimed');
INSERT INTO "transitions" VALUES(3,1,1.79528749242880201336e+09,'starting','running',1,NULL);
INSERT INTO "transitions" VALUES(4,1,1.79528749243428921702e+09,'running','succeeded',1,NULL);
CREATE INDEX ix_retracted_points_series_id ON retracted_points (series_id);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE INDEX ix_dependencies_needs_job_id ON dependencies (needs_job_id);
CREATE INDEX ix_messages_job_id ON messages (job_id);
CREATE INDEX ix_transitions_job_id ON transitions (job_id);
CREATE UNIQUE INDEX ix_experiments_key ON experiments ("key");
CREATE TRIGGER gpu_is_reserved BEFORE INSERT ON gpu_reservations
WHEN EXISTS (
    SELECT 1 FROM gpu_reservations
    WHERE uuid = NEW.uuid AND (memory_bytes IS NULL OR NEW.memory_bytes IS NULL)
)
BEGIN SELECT RAISE(ABORT, 'the GPU is reserved'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('experiments',1);
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
COMMIT;
