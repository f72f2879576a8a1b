CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE alert_deliveries (
	id VARCHAR(80) NOT NULL,
	incident VARCHAR(40),
	deployment VARCHAR(128) NOT NULL,
	rule VARCHAR(200) NOT NULL,
	step VARCHAR(20) NOT NULL,
	severity VARCHAR(20) NOT NULL,
	message TEXT NOT NULL,
	status VARCHAR(20) NOT NULL,
	attempts INTEGER NOT NULL,
	next_at BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	sent_at BIGINT,
	error TEXT NOT NULL,
	CONSTRAINT pk_alert_deliveries PRIMARY KEY (id)
);

CREATE TABLE alert_silences (
	id VARCHAR(40) NOT NULL,
	deployment VARCHAR(128) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	label VARCHAR(300) NOT NULL,
	until BIGINT NOT NULL,
	reason TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	ended_at BIGINT,
	CONSTRAINT pk_alert_silences PRIMARY KEY (id)
);

CREATE TABLE alerts (
	id VARCHAR(200) NOT NULL,
	deployment VARCHAR(128) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	window_start BIGINT NOT NULL,
	as_of BIGINT NOT NULL,
	opened_at BIGINT NOT NULL,
	summary TEXT NOT NULL,
	evidence TEXT NOT NULL,
	status VARCHAR(20) NOT NULL,
	resolved_at BIGINT,
	resolved_as_of BIGINT,
	resolution TEXT NOT NULL, severity VARCHAR(20) DEFAULT 'notice' NOT NULL,
	CONSTRAINT pk_alerts PRIMARY KEY (id)
);

CREATE TABLE artifact_upload_parts (
	upload_id VARCHAR(64) NOT NULL,
	number INTEGER NOT NULL,
	digest VARCHAR(64) NOT NULL,
	size_bytes BIGINT NOT NULL,
	CONSTRAINT pk_artifact_upload_parts PRIMARY KEY (upload_id, number),
	CONSTRAINT fk_artifact_upload_parts_upload_id FOREIGN KEY(upload_id) REFERENCES artifact_uploads (id)
);

CREATE TABLE artifact_uploads (
	id VARCHAR(64) NOT NULL,
	home VARCHAR(100) NOT NULL,
	path VARCHAR(1000) NOT NULL,
	num_parts INTEGER NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_artifact_uploads PRIMARY KEY (id)
);

CREATE TABLE artifacts (
	home VARCHAR(100) NOT NULL,
	path VARCHAR(1000) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	size_bytes BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_artifacts PRIMARY KEY (home, path)
)
 WITHOUT ROWID
;

CREATE TABLE audit_events (
	number INTEGER NOT NULL,
	at BIGINT NOT NULL,
	actor VARCHAR(200) NOT NULL,
	action VARCHAR(100) NOT NULL,
	subject_kind VARCHAR(60) NOT NULL,
	subject_id VARCHAR(300) NOT NULL,
	detail TEXT NOT NULL,
	previous VARCHAR(64) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	CONSTRAINT pk_audit_events PRIMARY KEY (number)
);

CREATE TABLE check_reports (
	dataset VARCHAR(128) NOT NULL,
	number INTEGER NOT NULL,
	version INTEGER,
	passed BOOLEAN NOT NULL,
	tree VARCHAR(64) NOT NULL,
	rows BIGINT NOT NULL,
	results TEXT NOT NULL,
	created_at BIGINT NOT NULL, quarantine TEXT,
	CONSTRAINT pk_check_reports PRIMARY KEY (dataset, number)
);

CREATE TABLE commit_marks (
	writer VARCHAR(40) NOT NULL,
	number BIGINT NOT NULL,
	at BIGINT NOT NULL,
	CONSTRAINT pk_commit_marks PRIMARY KEY (writer)
);

CREATE TABLE database_identity (
	id VARCHAR(26) NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_database_identity PRIMARY KEY (id)
);

CREATE TABLE dataset_inputs (
	run BIGINT NOT NULL,
	dataset BIGINT NOT NULL,
	context VARCHAR(500) NOT NULL,
	tags TEXT NOT NULL,
	CONSTRAINT pk_dataset_inputs PRIMARY KEY (run, dataset),
	CONSTRAINT fk_dataset_inputs_dataset FOREIGN KEY(dataset) REFERENCES logged_datasets (number),
	CONSTRAINT fk_dataset_inputs_run FOREIGN KEY(run) REFERENCES runs (number)
)
 WITHOUT ROWID
;

CREATE TABLE dataset_splits (
	dataset VARCHAR(128) NOT NULL,
	version INTEGER NOT NULL,
	name VARCHAR(128) NOT NULL,
	recipe TEXT NOT NULL,
	tree VARCHAR(64) NOT NULL,
	parts TEXT NOT NULL,
	left_out BIGINT NOT NULL,
	leaks TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_dataset_splits PRIMARY KEY (dataset, version, name)
);

CREATE TABLE "dataset_versions" (
	dataset VARCHAR(128) NOT NULL,
	version INTEGER NOT NULL,
	source TEXT NOT NULL,
	tree VARCHAR(64) NOT NULL,
	roles TEXT NOT NULL,
	schema TEXT NOT NULL,
	profile TEXT NOT NULL,
	files TEXT NOT NULL,
	rows BIGINT NOT NULL,
	size BIGINT NOT NULL,
	time_start BIGINT,
	time_end BIGINT,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	file_count BIGINT NOT NULL,
	provenance TEXT,
	CONSTRAINT pk_dataset_versions PRIMARY KEY (dataset, version)
);

CREATE TABLE decisions (
	episode VARCHAR(32) NOT NULL,
	number INTEGER NOT NULL,
	action VARCHAR(40) NOT NULL,
	reason TEXT NOT NULL,
	evidence TEXT NOT NULL,
	at BIGINT NOT NULL,
	fence BIGINT NOT NULL,
	CONSTRAINT pk_decisions PRIMARY KEY (episode, number)
);

CREATE TABLE deliveries (
	spool VARCHAR(64) NOT NULL,
	last BIGINT NOT NULL,
	refused TEXT NOT NULL,
	updated_at BIGINT NOT NULL,
	CONSTRAINT pk_deliveries PRIMARY KEY (spool)
);

CREATE TABLE deployments (
	name VARCHAR(128) NOT NULL,
	"key" VARCHAR(200),
	stable INTEGER,
	candidate INTEGER,
	share FLOAT NOT NULL,
	rollout VARCHAR(40),
	updated_at BIGINT NOT NULL, "default" TEXT DEFAULT '{}' NOT NULL, rules TEXT DEFAULT '{}' NOT NULL,
	CONSTRAINT pk_deployments PRIMARY KEY (name)
);

CREATE TABLE entity_outcomes (
	deployment VARCHAR(128) NOT NULL,
	entity VARCHAR(256) NOT NULL,
	at BIGINT NOT NULL,
	number BIGINT NOT NULL,
	value TEXT NOT NULL,
	received_at BIGINT NOT NULL,
	CONSTRAINT pk_entity_outcomes PRIMARY KEY (deployment, entity, at),
	CONSTRAINT uq_entity_outcomes_number UNIQUE (number)
);

CREATE TABLE episodes (
	id VARCHAR(32) NOT NULL,
	project VARCHAR(128) NOT NULL,
	number INTEGER NOT NULL,
	"trigger" VARCHAR(20) NOT NULL,
	reason TEXT NOT NULL,
	state VARCHAR(20) NOT NULL,
	alert_id VARCHAR(200),
	params TEXT NOT NULL,
	as_of BIGINT,
	started_at BIGINT NOT NULL,
	run_id VARCHAR(64),
	version INTEGER,
	rollout_id VARCHAR(64),
	ended_at BIGINT,
	ended_as_of BIGINT,
	summary TEXT NOT NULL,
	CONSTRAINT pk_episodes PRIMARY KEY (id)
);

CREATE TABLE experiment_tags (
	experiment_id BIGINT NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_experiment_tags PRIMARY KEY (experiment_id, "key"),
	CONSTRAINT fk_experiment_tags_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id)
)
 WITHOUT ROWID
;

CREATE TABLE experiments (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	name VARCHAR(500) NOT NULL,
	artifact_location TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	deleted_at BIGINT,
	created_by VARCHAR(200) NOT NULL,
	CONSTRAINT uq_experiments_name UNIQUE (name)
);

CREATE TABLE external_deployments (
	name VARCHAR(128) NOT NULL,
	task VARCHAR(20) NOT NULL,
	monitor TEXT NOT NULL,
	outcomes TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_external_deployments PRIMARY KEY (name)
);

CREATE TABLE external_versions (
	deployment VARCHAR(128) NOT NULL,
	version INTEGER NOT NULL,
	inputs TEXT NOT NULL,
	classes TEXT NOT NULL,
	reference VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL, reference_dropped_at BIGINT,
	CONSTRAINT pk_external_versions PRIMARY KEY (deployment, version)
);

CREATE TABLE gateway_reports (
	gateway VARCHAR(200) NOT NULL,
	routing BIGINT NOT NULL,
	revisions TEXT NOT NULL,
	failures TEXT NOT NULL,
	waiting_segments INTEGER NOT NULL,
	at BIGINT NOT NULL, dropped_copies INTEGER DEFAULT '0' NOT NULL,
	CONSTRAINT pk_gateway_reports PRIMARY KEY (gateway)
);

CREATE TABLE idempotency_keys (
	"key" VARCHAR(200) NOT NULL,
	scope VARCHAR(200) NOT NULL,
	arguments_digest VARCHAR(64) NOT NULL,
	answer TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_idempotency_keys PRIMARY KEY ("key")
);

CREATE TABLE incident_signals (
	incident VARCHAR(40) NOT NULL,
	"key" VARCHAR(240) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	severity VARCHAR(20) NOT NULL,
	labels TEXT NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT NOT NULL,
	summary TEXT NOT NULL,
	evidence TEXT NOT NULL,
	seen_at BIGINT NOT NULL,
	ended_at BIGINT,
	ended TEXT NOT NULL,
	CONSTRAINT pk_incident_signals PRIMARY KEY (incident, "key")
);

CREATE TABLE incidents (
	id VARCHAR(40) NOT NULL,
	deployment VARCHAR(128) NOT NULL,
	status VARCHAR(20) NOT NULL,
	severity VARCHAR(20) NOT NULL,
	kinds TEXT NOT NULL,
	labels TEXT NOT NULL,
	summary TEXT NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT NOT NULL,
	opened_at BIGINT NOT NULL,
	acknowledged_at BIGINT,
	acknowledged_by VARCHAR(200) NOT NULL,
	note TEXT NOT NULL,
	resolved_at BIGINT,
	resolved_by VARCHAR(200) NOT NULL,
	resolution TEXT NOT NULL,
	CONSTRAINT pk_incidents PRIMARY KEY (id)
);

CREATE TABLE leases (
	name VARCHAR(200) NOT NULL,
	holder VARCHAR(200) NOT NULL,
	fence BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_leases PRIMARY KEY (name)
);

CREATE TABLE lineage_edges (
	source VARCHAR(400) NOT NULL,
	target VARCHAR(400) NOT NULL,
	relation VARCHAR(60) NOT NULL,
	at BIGINT NOT NULL,
	event BIGINT NOT NULL,
	CONSTRAINT pk_lineage_edges PRIMARY KEY (source, target, relation)
);

CREATE TABLE logged_datasets (
	number INTEGER NOT NULL,
	experiment_id BIGINT NOT NULL,
	name VARCHAR(500) NOT NULL,
	digest VARCHAR(36) NOT NULL,
	source_type VARCHAR(100) NOT NULL,
	source TEXT NOT NULL,
	schema TEXT NOT NULL,
	profile TEXT NOT NULL,
	CONSTRAINT pk_logged_datasets PRIMARY KEY (number),
	CONSTRAINT fk_logged_datasets_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id),
	CONSTRAINT uq_logged_datasets_experiment_id_name_digest UNIQUE (experiment_id, name, digest)
);

CREATE TABLE logged_model_metrics (
	model_id VARCHAR(64) NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	run_id VARCHAR(64) NOT NULL,
	dataset VARCHAR(32) NOT NULL,
	step BIGINT NOT NULL,
	at BIGINT NOT NULL,
	value BIGINT NOT NULL,
	dataset_name VARCHAR(500) NOT NULL,
	dataset_digest VARCHAR(64) NOT NULL,
	CONSTRAINT pk_logged_model_metrics PRIMARY KEY (model_id, "key", run_id, dataset, step, at, value)
)
 WITHOUT ROWID
;

CREATE TABLE logged_model_params (
	model_id VARCHAR(64) NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_logged_model_params PRIMARY KEY (model_id, "key"),
	CONSTRAINT fk_logged_model_params_model_id FOREIGN KEY(model_id) REFERENCES logged_models (id)
)
 WITHOUT ROWID
;

CREATE TABLE logged_model_tags (
	model_id VARCHAR(64) NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_logged_model_tags PRIMARY KEY (model_id, "key"),
	CONSTRAINT fk_logged_model_tags_model_id FOREIGN KEY(model_id) REFERENCES logged_models (id)
)
 WITHOUT ROWID
;

CREATE TABLE logged_models (
	id VARCHAR(64) NOT NULL,
	experiment_id BIGINT NOT NULL,
	name VARCHAR(500) NOT NULL,
	model_type VARCHAR(500) NOT NULL,
	source_run_id VARCHAR(256) NOT NULL,
	status VARCHAR(20) NOT NULL,
	status_message TEXT NOT NULL,
	artifact_uri TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	deleted_at BIGINT,
	CONSTRAINT pk_logged_models PRIMARY KEY (id),
	CONSTRAINT fk_logged_models_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id)
);

CREATE TABLE loop_looks (
	project VARCHAR(128) NOT NULL,
	seen TEXT NOT NULL,
	settled BOOLEAN NOT NULL,
	waiting_for TEXT NOT NULL,
	at BIGINT NOT NULL, problem TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_loop_looks PRIMARY KEY (project)
);

CREATE TABLE loop_standings (
	project VARCHAR(128) NOT NULL,
	"case" TEXT NOT NULL,
	version INTEGER,
	until BIGINT,
	run_id VARCHAR(64),
	tried TEXT,
	newest TEXT,
	CONSTRAINT pk_loop_standings PRIMARY KEY (project)
);

CREATE TABLE metric_points (
	series BIGINT NOT NULL,
	at BIGINT NOT NULL,
	step BIGINT NOT NULL,
	value BIGINT NOT NULL,
	CONSTRAINT pk_metric_points PRIMARY KEY (series, at, step, value)
)
 WITHOUT ROWID
;

CREATE TABLE metric_series (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	run BIGINT NOT NULL,
	experiment_id BIGINT NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	step BIGINT NOT NULL,
	at BIGINT NOT NULL,
	value BIGINT NOT NULL,
	CONSTRAINT fk_metric_series_run FOREIGN KEY(run) REFERENCES runs (number),
	CONSTRAINT uq_metric_series_run_key UNIQUE (run, "key")
);

CREATE TABLE model_aliases (
	model VARCHAR(280) NOT NULL,
	alias VARCHAR(255) NOT NULL,
	version INTEGER NOT NULL,
	moved_at BIGINT NOT NULL,
	moved_by VARCHAR(200) NOT NULL,
	reason TEXT NOT NULL,
	CONSTRAINT pk_model_aliases PRIMARY KEY (model, alias),
	CONSTRAINT fk_model_aliases_model_version FOREIGN KEY(model, version) REFERENCES model_versions (model, version)
);

CREATE TABLE model_history (
	model VARCHAR(280) NOT NULL,
	number INTEGER NOT NULL,
	at BIGINT NOT NULL,
	actor VARCHAR(200) NOT NULL,
	kind VARCHAR(20) NOT NULL,
	alias VARCHAR(255) NOT NULL,
	version INTEGER,
	"before" VARCHAR(250),
	"after" VARCHAR(250),
	reason TEXT NOT NULL,
	evidence TEXT NOT NULL,
	CONSTRAINT pk_model_history PRIMARY KEY (model, number),
	CONSTRAINT fk_model_history_model FOREIGN KEY(model) REFERENCES models ("key")
);

CREATE TABLE model_inputs (
	run BIGINT NOT NULL,
	model_id VARCHAR(64) NOT NULL,
	CONSTRAINT pk_model_inputs PRIMARY KEY (run, model_id),
	CONSTRAINT fk_model_inputs_run FOREIGN KEY(run) REFERENCES runs (number)
)
 WITHOUT ROWID
;

CREATE TABLE model_outputs (
	run BIGINT NOT NULL,
	model_id VARCHAR(64) NOT NULL,
	step BIGINT NOT NULL,
	CONSTRAINT pk_model_outputs PRIMARY KEY (run, model_id, step),
	CONSTRAINT fk_model_outputs_run FOREIGN KEY(run) REFERENCES runs (number)
)
 WITHOUT ROWID
;

CREATE TABLE model_signatures (
	tree VARCHAR(64) NOT NULL,
	signer VARCHAR(64) NOT NULL,
	bundle TEXT NOT NULL,
	at BIGINT NOT NULL,
	actor VARCHAR(200) NOT NULL,
	CONSTRAINT pk_model_signatures PRIMARY KEY (tree, signer)
);

CREATE TABLE model_signers (
	fingerprint VARCHAR(64) NOT NULL,
	name VARCHAR(250) NOT NULL,
	public_key TEXT NOT NULL,
	added_at BIGINT NOT NULL,
	added_by VARCHAR(200) NOT NULL,
	CONSTRAINT pk_model_signers PRIMARY KEY (fingerprint)
);

CREATE TABLE model_tags (
	model VARCHAR(280) NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	start VARCHAR(100) NOT NULL,
	CONSTRAINT pk_model_tags PRIMARY KEY (model, "key"),
	CONSTRAINT fk_model_tags_model FOREIGN KEY(model) REFERENCES models ("key")
);

CREATE TABLE model_version_tags (
	model VARCHAR(280) NOT NULL,
	version INTEGER NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	start VARCHAR(100) NOT NULL,
	CONSTRAINT pk_model_version_tags PRIMARY KEY (model, version, "key"),
	CONSTRAINT fk_model_version_tags_model_version FOREIGN KEY(model, version) REFERENCES model_versions (model, version)
);

CREATE TABLE model_versions (
	model VARCHAR(280) NOT NULL,
	version INTEGER NOT NULL,
	run_id VARCHAR(64),
	tree VARCHAR(64),
	task VARCHAR(20),
	flavor VARCHAR(50) NOT NULL,
	signature TEXT NOT NULL,
	classes TEXT NOT NULL,
	label TEXT NOT NULL,
	reference VARCHAR(64),
	report_id VARCHAR(64),
	status VARCHAR(20) NOT NULL,
	stage VARCHAR(20) NOT NULL,
	description TEXT NOT NULL,
	source VARCHAR(500) NOT NULL,
	location TEXT NOT NULL,
	run_link VARCHAR(500) NOT NULL,
	logged_model_id VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	deleted_at BIGINT, fast_form TEXT, fast_tree VARCHAR(64),
	CONSTRAINT pk_model_versions PRIMARY KEY (model, version),
	CONSTRAINT fk_model_versions_model FOREIGN KEY(model) REFERENCES models ("key")
);

CREATE TABLE models (
	"key" VARCHAR(280) NOT NULL,
	name VARCHAR(250) NOT NULL,
	latest_version INTEGER NOT NULL,
	description TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	updated_at BIGINT NOT NULL,
	deleted_at BIGINT,
	CONSTRAINT pk_models PRIMARY KEY ("key")
);

CREATE TABLE monitoring_cursors (
	deployment VARCHAR(128) NOT NULL,
	segments BIGINT NOT NULL,
	outcomes BIGINT NOT NULL,
	closed_until BIGINT,
	CONSTRAINT pk_monitoring_cursors PRIMARY KEY (deployment)
);

CREATE TABLE monitoring_references (
	deployment VARCHAR(128) NOT NULL,
	version INTEGER NOT NULL,
	sample VARCHAR(64) NOT NULL,
	"key" VARCHAR(200),
	sketch VARCHAR(64) NOT NULL, is_final BOOLEAN DEFAULT 0 NOT NULL,
	CONSTRAINT pk_monitoring_references PRIMARY KEY (deployment, version)
);

CREATE TABLE monitoring_windows (
	deployment VARCHAR(128) NOT NULL,
	start BIGINT NOT NULL,
	"end" BIGINT NOT NULL,
	edition INTEGER NOT NULL,
	rows INTEGER NOT NULL,
	outcomes INTEGER NOT NULL,
	version INTEGER,
	number INTEGER NOT NULL,
	level FLOAT,
	drift TEXT NOT NULL,
	drift_note TEXT NOT NULL,
	performance TEXT,
	below_bar BOOLEAN NOT NULL,
	loss TEXT,
	revisions TEXT NOT NULL,
	computed_at BIGINT, sketches VARCHAR(64), watches TEXT DEFAULT '[]' NOT NULL, estimate TEXT, groups TEXT DEFAULT '[]' NOT NULL, maturity TEXT, segment_notes TEXT DEFAULT '[]' NOT NULL, kept TEXT,
	CONSTRAINT pk_monitoring_windows PRIMARY KEY (deployment, start)
);

CREATE TABLE object_references (
	owner VARCHAR(300) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_object_references PRIMARY KEY (owner, digest)
);

CREATE TABLE outcomes (
	prediction_id VARCHAR(80) NOT NULL,
	number BIGINT NOT NULL,
	segment VARCHAR(40) NOT NULL,
	deployment VARCHAR(128),
	value TEXT NOT NULL,
	at BIGINT NOT NULL,
	received_at BIGINT NOT NULL,
	CONSTRAINT pk_outcomes PRIMARY KEY (prediction_id),
	CONSTRAINT uq_outcomes_number UNIQUE (number)
);

CREATE TABLE params (
	run BIGINT NOT NULL,
	experiment_id BIGINT NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_params PRIMARY KEY (run, "key"),
	CONSTRAINT fk_params_run FOREIGN KEY(run) REFERENCES runs (number)
)
 WITHOUT ROWID
;

CREATE TABLE pipeline_runs (
	id VARCHAR(64) NOT NULL,
	project VARCHAR(250) NOT NULL,
	params TEXT NOT NULL,
	reason TEXT NOT NULL,
	episode VARCHAR(64),
	until BIGINT,
	status VARCHAR(20) NOT NULL,
	requested_at BIGINT NOT NULL,
	requested_by VARCHAR(200) NOT NULL,
	started_at BIGINT,
	ended_at BIGINT,
	worker VARCHAR(200) NOT NULL,
	fence BIGINT NOT NULL,
	lease_expires_at BIGINT,
	error TEXT NOT NULL,
	candidate TEXT, rows TEXT, probe TEXT, probed TEXT,
	CONSTRAINT pk_pipeline_runs PRIMARY KEY (id)
);

CREATE TABLE pipeline_steps (
	run_id VARCHAR(64) NOT NULL,
	name VARCHAR(250) NOT NULL,
	number INTEGER NOT NULL,
	status VARCHAR(20) NOT NULL,
	attempt INTEGER NOT NULL,
	"key" VARCHAR(64) NOT NULL,
	parts TEXT NOT NULL,
	output TEXT,
	message TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	ended_at BIGINT,
	cpu_s FLOAT NOT NULL,
	peak_memory_bytes BIGINT,
	CONSTRAINT pk_pipeline_steps PRIMARY KEY (run_id, name)
);

CREATE TABLE reports (
	id VARCHAR(64) NOT NULL,
	task VARCHAR(20) NOT NULL,
	model VARCHAR(300) NOT NULL,
	data VARCHAR(300) NOT NULL,
	run_id VARCHAR(40) NOT NULL,
	"primary" VARCHAR(100) NOT NULL,
	primary_value FLOAT,
	rows INTEGER NOT NULL,
	created_at BIGINT NOT NULL,
	content TEXT NOT NULL,
	CONSTRAINT pk_reports PRIMARY KEY (id)
);

CREATE TABLE "revisions" (
	deployment VARCHAR(128) NOT NULL,
	number INTEGER NOT NULL,
	model VARCHAR(250) NOT NULL,
	version INTEGER NOT NULL,
	tree VARCHAR(64) NOT NULL,
	state VARCHAR(20) NOT NULL,
	replaced INTEGER,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_revisions PRIMARY KEY (deployment, number)
);

CREATE TABLE rollout_measures (
	rollout VARCHAR(40) NOT NULL,
	at BIGINT NOT NULL,
	step INTEGER NOT NULL,
	share FLOAT NOT NULL,
	decision VARCHAR(20) NOT NULL,
	reason TEXT NOT NULL,
	evidence TEXT NOT NULL,
	CONSTRAINT pk_rollout_measures PRIMARY KEY (rollout, at)
);

CREATE TABLE rollouts (
	id VARCHAR(40) NOT NULL,
	deployment VARCHAR(128) NOT NULL,
	revision INTEGER NOT NULL,
	baseline INTEGER,
	strategy VARCHAR(20) NOT NULL,
	steps TEXT NOT NULL,
	step INTEGER NOT NULL,
	state VARCHAR(20) NOT NULL,
	guard TEXT NOT NULL,
	min_requests INTEGER NOT NULL,
	events TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	step_started_at BIGINT NOT NULL,
	ended_at BIGINT, margins TEXT DEFAULT '{}' NOT NULL, decide VARCHAR(20) DEFAULT 'no_harm' NOT NULL, "key" VARCHAR(200),
	CONSTRAINT pk_rollouts PRIMARY KEY (id)
);

CREATE TABLE routing_numbers (
	id INTEGER NOT NULL,
	number BIGINT NOT NULL,
	CONSTRAINT pk_routing_numbers PRIMARY KEY (id)
);

CREATE TABLE run_inputs (
	run BIGINT NOT NULL,
	source VARCHAR(300) NOT NULL,
	relation VARCHAR(50) NOT NULL,
	CONSTRAINT pk_run_inputs PRIMARY KEY (run, source),
	CONSTRAINT fk_run_inputs_run FOREIGN KEY(run) REFERENCES runs (number)
)
 WITHOUT ROWID
;

CREATE TABLE run_tags (
	run BIGINT NOT NULL,
	experiment_id BIGINT NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_run_tags PRIMARY KEY (run, "key"),
	CONSTRAINT fk_run_tags_run FOREIGN KEY(run) REFERENCES runs (number)
)
 WITHOUT ROWID
;

CREATE TABLE runs (
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	id VARCHAR(64) NOT NULL,
	experiment_id BIGINT NOT NULL,
	name VARCHAR(250) NOT NULL,
	status VARCHAR(20) NOT NULL,
	started_at BIGINT NOT NULL,
	ended_at BIGINT,
	deleted_at BIGINT,
	sealed_at BIGINT,
	created_by VARCHAR(250) NOT NULL,
	artifact_uri TEXT NOT NULL,
	parent VARCHAR(64),
	source TEXT NOT NULL,
	CONSTRAINT fk_runs_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id),
	CONSTRAINT uq_runs_id UNIQUE (id)
);

CREATE TABLE segments (
	id VARCHAR(40) NOT NULL,
	number BIGINT NOT NULL,
	deployment VARCHAR(128) NOT NULL,
	first_at BIGINT NOT NULL,
	last_at BIGINT NOT NULL,
	rows INTEGER NOT NULL,
	errors INTEGER NOT NULL,
	fallbacks INTEGER NOT NULL,
	revisions TEXT NOT NULL,
	digest VARCHAR(64) NOT NULL,
	received_at BIGINT NOT NULL, settled_at BIGINT, inputs_dropped_at BIGINT,
	CONSTRAINT pk_segments PRIMARY KEY (id),
	CONSTRAINT uq_segments_number UNIQUE (number)
);

CREATE TABLE sessions (
	digest VARCHAR(64) NOT NULL,
	token VARCHAR(16) NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_sessions PRIMARY KEY (digest)
);

CREATE TABLE spans (
	trace_id VARCHAR(64) NOT NULL,
	span_id VARCHAR(16) NOT NULL,
	parent_id VARCHAR(16) NOT NULL,
	name TEXT NOT NULL,
	kind BIGINT NOT NULL,
	started_ns BIGINT NOT NULL,
	ended_ns BIGINT NOT NULL,
	status VARCHAR(10) NOT NULL,
	message TEXT NOT NULL,
	attributes TEXT NOT NULL,
	events TEXT NOT NULL,
	links TEXT NOT NULL,
	CONSTRAINT pk_spans PRIMARY KEY (trace_id, span_id),
	CONSTRAINT fk_spans_trace_id FOREIGN KEY(trace_id) REFERENCES traces (id)
);

CREATE TABLE tokens (
	id VARCHAR(16) NOT NULL,
	name VARCHAR(128) NOT NULL,
	role VARCHAR(20) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	created_by VARCHAR(200) NOT NULL,
	expires_at BIGINT,
	revoked_at BIGINT,
	last_used_at BIGINT,
	CONSTRAINT pk_tokens PRIMARY KEY (id)
);

CREATE TABLE trace_metadata (
	trace_id VARCHAR(64) NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_trace_metadata PRIMARY KEY (trace_id, "key"),
	CONSTRAINT fk_trace_metadata_trace_id FOREIGN KEY(trace_id) REFERENCES traces (id)
)
 WITHOUT ROWID
;

CREATE TABLE trace_tags (
	trace_id VARCHAR(64) NOT NULL,
	"key" VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	CONSTRAINT pk_trace_tags PRIMARY KEY (trace_id, "key"),
	CONSTRAINT fk_trace_tags_trace_id FOREIGN KEY(trace_id) REFERENCES traces (id)
)
 WITHOUT ROWID
;

CREATE TABLE traces (
	id VARCHAR(64) NOT NULL,
	experiment_id BIGINT NOT NULL,
	state VARCHAR(20) NOT NULL,
	started_at BIGINT NOT NULL,
	duration_ms BIGINT,
	client_request_id VARCHAR(250) NOT NULL,
	request_preview TEXT NOT NULL,
	response_preview TEXT NOT NULL,
	is_announced BOOLEAN NOT NULL,
	CONSTRAINT pk_traces PRIMARY KEY (id),
	CONSTRAINT fk_traces_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (id)
);

CREATE TABLE traffic_totals (
	deployment VARCHAR(128) NOT NULL,
	revision INTEGER NOT NULL,
	rows BIGINT NOT NULL,
	errors BIGINT NOT NULL,
	fallbacks BIGINT NOT NULL,
	latency TEXT NOT NULL,
	CONSTRAINT pk_traffic_totals PRIMARY KEY (deployment, revision)
);

CREATE TABLE trust_decisions (
	number INTEGER NOT NULL,
	tree VARCHAR(64) NOT NULL,
	trusted BOOLEAN NOT NULL,
	at BIGINT NOT NULL,
	actor VARCHAR(200) NOT NULL,
	reason TEXT NOT NULL,
	evidence TEXT NOT NULL,
	CONSTRAINT pk_trust_decisions PRIMARY KEY (number)
);

CREATE TABLE verdicts (
	id VARCHAR(64) NOT NULL,
	report_id VARCHAR(64) NOT NULL,
	passed BOOLEAN NOT NULL,
	created_at BIGINT NOT NULL,
	content TEXT NOT NULL,
	CONSTRAINT pk_verdicts PRIMARY KEY (id)
);

CREATE INDEX ix_alert_deliveries_incident ON alert_deliveries (incident);

CREATE INDEX ix_alert_deliveries_status_next_at ON alert_deliveries (status, next_at);

CREATE INDEX ix_alerts_deployment_status ON alerts (deployment, status);

CREATE INDEX ix_artifact_uploads_created_at ON artifact_uploads (created_at);

CREATE INDEX ix_artifacts_home_digest ON artifacts (home, digest);

CREATE INDEX ix_audit_events_action ON audit_events (action);

CREATE INDEX ix_audit_events_subject_id ON audit_events (subject_id);

CREATE INDEX ix_check_reports_version ON check_reports (dataset, version);

CREATE INDEX ix_dataset_inputs_context_run ON dataset_inputs (context, run);

CREATE INDEX ix_dataset_inputs_dataset_context_run ON dataset_inputs (dataset, context, run);

CREATE INDEX ix_deliveries_updated_at ON deliveries (updated_at);

CREATE INDEX ix_entity_outcomes_deployment_at ON entity_outcomes (deployment, at);

CREATE INDEX ix_entity_outcomes_deployment_number ON entity_outcomes (deployment, number);

CREATE UNIQUE INDEX ix_episodes_project_number ON episodes (project, number);

CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);

CREATE INDEX ix_incidents_deployment_status ON incidents (deployment, status);

CREATE INDEX ix_lineage_edges_target ON lineage_edges (target);

CREATE INDEX ix_logged_datasets_digest ON logged_datasets (digest);

CREATE INDEX ix_logged_datasets_name ON logged_datasets (name);

CREATE INDEX ix_logged_model_metrics_key_value_model_id ON logged_model_metrics ("key", value, model_id);

CREATE INDEX ix_logged_model_params_value ON logged_model_params ("key", substr(value, 1, 200), model_id);

CREATE INDEX ix_logged_model_tags_value ON logged_model_tags ("key", substr(value, 1, 200), model_id);

CREATE INDEX ix_logged_models_experiment_id_created_at_id ON logged_models (experiment_id, created_at, id);

CREATE INDEX ix_logged_models_experiment_id_name ON logged_models (experiment_id, name);

CREATE INDEX ix_logged_models_source_run_id ON logged_models (source_run_id);

CREATE INDEX ix_metric_series_experiment_id_key_value_run ON metric_series (experiment_id, "key", value, run);

CREATE INDEX ix_model_history_kind_before ON model_history (kind, "before");

CREATE INDEX ix_model_history_model_alias_number ON model_history (model, alias, number);

CREATE INDEX ix_model_tags_key_start ON model_tags ("key", start);

CREATE INDEX ix_model_version_tags_key_start ON model_version_tags ("key", start);

CREATE INDEX ix_model_versions_created_at ON model_versions (created_at);

CREATE INDEX ix_model_versions_report_id ON model_versions (report_id);

CREATE INDEX ix_model_versions_run_id ON model_versions (run_id);

CREATE INDEX ix_model_versions_source ON model_versions (source);

CREATE INDEX ix_model_versions_tree ON model_versions (tree);

CREATE INDEX ix_model_versions_uncompiled ON model_versions (created_at) WHERE fast_form IS NULL AND deleted_at IS NULL;

CREATE INDEX ix_model_versions_updated_at ON model_versions (updated_at);

CREATE UNIQUE INDEX ix_models_live_name ON models (name) WHERE deleted_at IS NULL;

CREATE INDEX ix_models_updated_at ON models (updated_at);

CREATE INDEX ix_object_references_digest ON object_references (digest);

CREATE INDEX ix_outcomes_deployment_number ON outcomes (deployment, number);

CREATE INDEX ix_outcomes_segment_deployment_number ON outcomes (segment, deployment, number);

CREATE INDEX ix_params_value ON params (experiment_id, "key", substr(value, 1, 200), run);

CREATE INDEX ix_pipeline_runs_project ON pipeline_runs (project, id);

CREATE INDEX ix_pipeline_runs_status ON pipeline_runs (project, status, id);

CREATE INDEX ix_pipeline_steps_key ON pipeline_steps ("key", run_id);

CREATE INDEX ix_reports_created_at_id ON reports (created_at, id);

CREATE INDEX ix_reports_model ON reports (model);

CREATE INDEX ix_reports_run_id ON reports (run_id);

CREATE INDEX ix_revisions_model_version ON revisions (model, version);

CREATE INDEX ix_rollouts_deployment_started_at ON rollouts (deployment, started_at);

CREATE INDEX ix_run_tags_value ON run_tags (experiment_id, "key", substr(value, 1, 200), run);

CREATE INDEX ix_runs_experiment_id_ended_at_id ON runs (experiment_id, ended_at, id);

CREATE INDEX ix_runs_experiment_id_name_id ON runs (experiment_id, name, id);

CREATE INDEX ix_runs_experiment_id_started_at_id ON runs (experiment_id, started_at, id);

CREATE INDEX ix_runs_parent ON runs (parent);

CREATE INDEX ix_runs_started_at_id ON runs (started_at, id);

CREATE INDEX ix_runs_status_started_at ON runs (status, started_at);

CREATE INDEX ix_runs_unsealed ON runs (ended_at) WHERE ended_at IS NOT NULL AND sealed_at IS NULL;

CREATE INDEX ix_segments_deployment_inputs_dropped_at_received_at ON segments (deployment, inputs_dropped_at, received_at);

CREATE INDEX ix_segments_deployment_last_at ON segments (deployment, last_at);

CREATE INDEX ix_segments_deployment_number ON segments (deployment, number);

CREATE INDEX ix_segments_deployment_received_at ON segments (deployment, received_at);

CREATE INDEX ix_segments_deployment_settled_at ON segments (deployment, settled_at);

CREATE INDEX ix_sessions_token ON sessions (token);

CREATE INDEX ix_trace_metadata_value ON trace_metadata ("key", substr(value, 1, 200), trace_id);

CREATE INDEX ix_trace_tags_value ON trace_tags ("key", substr(value, 1, 200), trace_id);

CREATE INDEX ix_traces_client_request_id ON traces (client_request_id);

CREATE INDEX ix_traces_experiment_id_started_at_id ON traces (experiment_id, started_at, id);

CREATE INDEX ix_trust_decisions_tree ON trust_decisions (tree);

CREATE INDEX ix_verdicts_report_id ON verdicts (report_id);

CREATE UNIQUE INDEX uq_episodes_open ON episodes (project) WHERE ended_at IS NULL;

CREATE UNIQUE INDEX uq_tokens_live_name ON tokens (name) WHERE revoked_at IS NULL;

INSERT INTO alembic_version VALUES ('0025');

INSERT INTO experiments VALUES (0, 'Default', '', CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER), NULL, 'penstock')
