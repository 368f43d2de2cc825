DROP INDEX `task_run_flow_run`;--> statement-breakpoint
ALTER TABLE `task_run` ADD `key_hash` integer;--> statement-breakpoint
CREATE INDEX `task_run_key` ON `task_run` (`flow_run_id`,`key_hash`) WHERE key_hash is not null;--> statement-breakpoint
CREATE INDEX `task_run_flow_run` ON `task_run` (`flow_run_id`,`task_key`,`dynamic_key`) WHERE typeof(flow_run_id) = 'text';