CREATE TABLE `log_archive` (
	`workspace_id` text NOT NULL,
	`first_start` integer NOT NULL,
	`id` text NOT NULL,
	`last_start` integer NOT NULL,
	`last_end` integer NOT NULL,
	`key` text NOT NULL,
	`bytes` integer NOT NULL,
	`index_at` integer NOT NULL,
	`index_digest` text NOT NULL,
	`first_timestamp` integer NOT NULL,
	`last_timestamp` integer NOT NULL,
	`log_count` integer NOT NULL,
	`runs` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `first_start`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `log_restored_run` (
	`workspace_id` text NOT NULL,
	`run_id` text NOT NULL,
	`until` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `run_id`)
) WITHOUT ROWID;
