ALTER TABLE `dead_letter` ADD `workspace_id` text DEFAULT '00000000-0000-4000-8000-000000000001' NOT NULL;--> statement-breakpoint
ALTER TABLE `dead_letter` ADD `key` text;--> statement-breakpoint
ALTER TABLE `dead_letter` ADD `reason` text;--> statement-breakpoint
CREATE UNIQUE INDEX `dead_letter_key` ON `dead_letter` (`workspace_id`,`queue`,`key`);--> statement-breakpoint
CREATE INDEX `dead_letter_created` ON `dead_letter` (`workspace_id`,`created`,`id`);