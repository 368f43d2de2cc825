CREATE TABLE `event_archive` (
	`workspace_id` text NOT NULL,
	`hour` integer NOT NULL,
	`id` text NOT NULL,
	`key` text NOT NULL,
	`bytes` integer NOT NULL,
	`index_at` integer NOT NULL,
	`index_digest` text NOT NULL,
	`first_occurred` integer NOT NULL,
	`last_occurred` integer NOT NULL,
	`first_id` text NOT NULL,
	`last_id` text NOT NULL,
	`event_count` integer NOT NULL,
	`counts` text,
	PRIMARY KEY(`workspace_id`, `hour`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE TABLE `event_restored_hour` (
	`workspace_id` text NOT NULL,
	`hour` integer NOT NULL,
	`until` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `hour`)
) WITHOUT ROWID;
