CREATE TABLE `archived_run` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`start` integer NOT NULL,
	`first_end` integer NOT NULL,
	`bundle` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `run_archive` (
	`workspace_id` text NOT NULL,
	`first_end` integer NOT NULL,
	`id` text NOT NULL,
	`last_end` integer NOT NULL,
	`key` text NOT NULL,
	`bytes` integer NOT NULL,
	`index_at` integer NOT NULL,
	`index_digest` text NOT NULL,
	`run_count` integer NOT NULL,
	`runs` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `first_end`, `id`)
) WITHOUT ROWID;
