DROP INDEX `artifact_key`;--> statement-breakpoint
CREATE INDEX `artifact_changed` ON `artifact` (`workspace_id`,`updated`) WHERE updated > created;--> statement-breakpoint
CREATE INDEX `artifact_key_changed` ON `artifact` (`workspace_id`,`key`,`updated`) WHERE key is not null and updated > created;--> statement-breakpoint
CREATE INDEX `artifact_key` ON `artifact` (`workspace_id`,`key`);