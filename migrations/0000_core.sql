CREATE TABLE `concurrency_limit` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`limit` integer NOT NULL,
	`active` integer NOT NULL,
	`slot_decay_per_second` real NOT NULL,
	`avg_slot_occupancy_seconds` real NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `concurrency_limit_name` ON `concurrency_limit` (`workspace_id`,`name`);--> statement-breakpoint
CREATE TABLE `configuration` (
	`workspace_id` text NOT NULL,
	`key` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`value` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `key`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `deployment` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`flow_id` text NOT NULL,
	`description` text,
	`version` text,
	`version_id` text,
	`version_info` text,
	`paused` integer NOT NULL,
	`status` text NOT NULL,
	`last_polled` integer,
	`concurrency_limit` integer,
	`concurrency_limit_id` text,
	`concurrency_options` text,
	`job_variables` text NOT NULL,
	`parameters` text NOT NULL,
	`parameter_openapi_schema` text,
	`enforce_parameter_schema` integer NOT NULL,
	`pull_steps` text,
	`path` text,
	`entrypoint` text,
	`tags` text NOT NULL,
	`labels` text NOT NULL,
	`work_queue_id` text,
	`work_queue_name` text,
	`storage_document_id` text,
	`infrastructure_document_id` text,
	`created_by` text,
	`updated_by` text,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `deployment_name` ON `deployment` (`workspace_id`,`flow_id`,`name`);--> statement-breakpoint
CREATE INDEX `deployment_work_queue` ON `deployment` (`workspace_id`,`work_queue_id`) WHERE work_queue_id is not null;--> statement-breakpoint
CREATE INDEX `deployment_served` ON `deployment` (`last_polled`) WHERE status = 'READY' and work_queue_id is null;--> statement-breakpoint
CREATE TABLE `deployment_schedule` (
	`workspace_id` text NOT NULL,
	`deployment_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`schedule` text NOT NULL,
	`active` integer NOT NULL,
	`max_scheduled_runs` integer,
	`parameters` text NOT NULL,
	`slug` text,
	`scheduled_until` integer,
	`top_up_at` integer,
	PRIMARY KEY(`workspace_id`, `deployment_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `deployment_schedule_top_up` ON `deployment_schedule` (`top_up_at`) WHERE top_up_at is not null;--> statement-breakpoint
CREATE UNIQUE INDEX `deployment_schedule_slug` ON `deployment_schedule` (`workspace_id`,`deployment_id`,`slug`) WHERE slug is not null;--> statement-breakpoint
CREATE TABLE `dead_letter` (
	`id` text PRIMARY KEY NOT NULL,
	`created` integer NOT NULL,
	`queue` text NOT NULL,
	`message` text NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `event_resource` (
	`workspace_id` text NOT NULL,
	`resource_id` text NOT NULL,
	`hour` integer NOT NULL,
	`segment_id` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `resource_id`, `hour`, `segment_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `event_segment` (
	`workspace_id` text NOT NULL,
	`hour` integer NOT NULL,
	`id` text NOT NULL,
	`first_occurred` integer NOT NULL,
	`last_occurred` integer NOT NULL,
	`event_count` integer NOT NULL,
	`counts` text NOT NULL,
	`consumed` integer NOT NULL,
	`events` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `hour`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `event_segment_waiting` ON `event_segment` (`id`) WHERE consumed = 0;--> statement-breakpoint
CREATE TABLE `sweep_mark` (
	`name` text PRIMARY KEY NOT NULL,
	`mark` text NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `flow_run` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`flow_id` text NOT NULL,
	`flow_version` text,
	`deployment_id` text,
	`deployment_version` text,
	`work_queue_id` text,
	`work_queue_name` text,
	`parameters` text NOT NULL,
	`idempotency_key` text,
	`context` text NOT NULL,
	`empirical_policy` text NOT NULL,
	`tags` text NOT NULL,
	`labels` text NOT NULL,
	`created_by` text,
	`parent_task_run_id` text,
	`auto_scheduled` integer NOT NULL,
	`infrastructure_document_id` text,
	`infrastructure_pid` text,
	`job_variables` text,
	`state_id` text,
	`state_type` text,
	`state_name` text,
	`state_timestamp` integer,
	`state_ids` text NOT NULL,
	`run_count` integer NOT NULL,
	`expected_start_time` integer,
	`next_scheduled_start_time` integer,
	`start_time` integer,
	`end_time` integer,
	`total_run_time` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `flow_run_start` ON `flow_run` (`workspace_id`,coalesce("start_time", "expected_start_time"));--> statement-breakpoint
CREATE INDEX `flow_run_deployment` ON `flow_run` (`workspace_id`,`deployment_id`,`expected_start_time`) WHERE deployment_id is not null;--> statement-breakpoint
CREATE INDEX `flow_run_live` ON `flow_run` (`next_scheduled_start_time`,`workspace_id`,`work_queue_id`,`deployment_id`) WHERE end_time is null;--> statement-breakpoint
CREATE UNIQUE INDEX `flow_run_idempotency` ON `flow_run` (`workspace_id`,`flow_id`,`idempotency_key`) WHERE idempotency_key is not null;--> statement-breakpoint
CREATE INDEX `flow_run_parent` ON `flow_run` (`workspace_id`,`parent_task_run_id`) WHERE parent_task_run_id is not null;--> statement-breakpoint
CREATE TABLE `flow_run_input` (
	`workspace_id` text NOT NULL,
	`flow_run_id` text NOT NULL,
	`key` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`value` text NOT NULL,
	`sender` text,
	PRIMARY KEY(`workspace_id`, `flow_run_id`, `key`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `flow_run_state` (
	`id` text PRIMARY KEY NOT NULL,
	`workspace_id` text NOT NULL,
	`flow_run_id` text NOT NULL,
	`type` text NOT NULL,
	`name` text NOT NULL,
	`timestamp` integer NOT NULL,
	`message` text,
	`data` text,
	`state_details` text NOT NULL
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `flow` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`tags` text NOT NULL,
	`labels` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `flow_name` ON `flow` (`workspace_id`,`name`);--> statement-breakpoint
CREATE TABLE `log_segment` (
	`workspace_id` text NOT NULL,
	`run_id` text NOT NULL,
	`first_timestamp` integer NOT NULL,
	`digest` text NOT NULL,
	`last_timestamp` integer NOT NULL,
	`min_level` integer NOT NULL,
	`max_level` integer NOT NULL,
	`record_count` integer NOT NULL,
	`records` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `run_id`, `first_timestamp`, `digest`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `log_segment_time` ON `log_segment` (`workspace_id`,`last_timestamp`);--> statement-breakpoint
CREATE TABLE `task_run` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`flow_run_id` text,
	`task_key` text NOT NULL,
	`dynamic_key` text NOT NULL,
	`cache_key` text,
	`cache_expiration` integer,
	`task_version` text,
	`empirical_policy` text NOT NULL,
	`tags` text NOT NULL,
	`labels` text NOT NULL,
	`task_inputs` text NOT NULL,
	`state_id` text,
	`state_type` text,
	`state_name` text,
	`state_timestamp` integer,
	`states` text NOT NULL,
	`run_count` integer NOT NULL,
	`flow_run_run_count` integer NOT NULL,
	`expected_start_time` integer,
	`next_scheduled_start_time` integer,
	`start_time` integer,
	`end_time` integer,
	`total_run_time` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `task_run_flow_run` ON `task_run` (`workspace_id`,`flow_run_id`,`task_key`,`dynamic_key`) WHERE flow_run_id is not null;--> statement-breakpoint
CREATE TABLE `task_run_state_cache` (
	`workspace_id` text NOT NULL,
	`cache_key` text NOT NULL,
	`state_id` text NOT NULL,
	`created` integer NOT NULL,
	`cache_expiration` integer,
	`state` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `cache_key`, `state_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `variable` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`value` text,
	`tags` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `variable_name` ON `variable` (`workspace_id`,`name`);--> statement-breakpoint
CREATE TABLE `work_pool` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`description` text,
	`type` text NOT NULL,
	`base_job_template` text NOT NULL,
	`storage_configuration` text NOT NULL,
	`is_paused` integer NOT NULL,
	`concurrency_limit` integer,
	`default_queue_id` text,
	`status` text,
	`last_transitioned_status_at` integer,
	`last_status_event_id` text,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `work_pool_name` ON `work_pool` (`workspace_id`,`name`);--> statement-breakpoint
CREATE TABLE `work_queue` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`work_pool_id` text NOT NULL,
	`description` text,
	`is_paused` integer NOT NULL,
	`concurrency_limit` integer,
	`priority` integer NOT NULL,
	`filter` text,
	`status` text NOT NULL,
	`last_polled` integer,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `work_queue_name` ON `work_queue` (`workspace_id`,`work_pool_id`,`name`);