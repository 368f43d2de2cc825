CREATE TABLE `artifact` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`key` text,
	`type` text,
	`description` text,
	`data` text,
	`metadata_` text,
	`flow_run_id` text,
	`task_run_id` text,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `artifact_key` ON `artifact` (`workspace_id`,`key`) WHERE key is not null;--> statement-breakpoint
CREATE INDEX `artifact_flow_run` ON `artifact` (`flow_run_id`) WHERE flow_run_id is not null;--> statement-breakpoint
CREATE INDEX `artifact_task_run` ON `artifact` (`task_run_id`) WHERE task_run_id is not null;--> statement-breakpoint
CREATE TABLE `artifact_collection` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`key` text NOT NULL,
	`latest_id` text NOT NULL,
	`created` integer NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `artifact_collection_key` ON `artifact_collection` (`workspace_id`,`key`);--> statement-breakpoint
CREATE TABLE `saved_search` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`filters` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `saved_search_name` ON `saved_search` (`workspace_id`,`name`);