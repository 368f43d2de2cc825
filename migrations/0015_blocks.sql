CREATE TABLE `block_document` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`is_anonymous` integer NOT NULL,
	`block_type_id` text NOT NULL,
	`block_type_name` text NOT NULL,
	`block_schema_id` text NOT NULL,
	`data` text NOT NULL,
	`secrets` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `block_document_name` ON `block_document` (`workspace_id`,`block_type_id`,`name`);--> statement-breakpoint
CREATE INDEX `block_document_by_name` ON `block_document` (`workspace_id`,`is_anonymous`,`name`);--> statement-breakpoint
CREATE INDEX `block_document_by_type` ON `block_document` (`workspace_id`,`is_anonymous`,`block_type_name`,`name`);--> statement-breakpoint
CREATE INDEX `block_document_schema` ON `block_document` (`workspace_id`,`block_schema_id`);--> statement-breakpoint
CREATE TABLE `block_document_reference` (
	`workspace_id` text NOT NULL,
	`parent_block_document_id` text NOT NULL,
	`name` text NOT NULL,
	`reference_block_document_id` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `parent_block_document_id`, `name`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `block_document_reference_child` ON `block_document_reference` (`workspace_id`,`reference_block_document_id`);--> statement-breakpoint
CREATE TABLE `block_schema` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`checksum` text NOT NULL,
	`version` text NOT NULL,
	`block_type_id` text NOT NULL,
	`capabilities` text NOT NULL,
	`fields` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `block_schema_checksum` ON `block_schema` (`workspace_id`,`checksum`,`version`);--> statement-breakpoint
CREATE INDEX `block_schema_type` ON `block_schema` (`workspace_id`,`block_type_id`,`created`);--> statement-breakpoint
CREATE INDEX `block_schema_created` ON `block_schema` (`workspace_id`,`created`);--> statement-breakpoint
CREATE INDEX `block_schema_capabilities` ON `block_schema` (`workspace_id`,`capabilities`);--> statement-breakpoint
CREATE TABLE `block_schema_reference` (
	`workspace_id` text NOT NULL,
	`parent_block_schema_id` text NOT NULL,
	`name` text NOT NULL,
	`reference_block_schema_id` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `parent_block_schema_id`, `name`, `reference_block_schema_id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `block_schema_reference_child` ON `block_schema_reference` (`workspace_id`,`reference_block_schema_id`);--> statement-breakpoint
CREATE TABLE `block_type` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`updated` integer NOT NULL,
	`name` text NOT NULL,
	`slug` text NOT NULL,
	`is_protected` integer NOT NULL,
	`logo_url` text,
	`documentation_url` text,
	`description` text,
	`code_example` text,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `block_type_slug` ON `block_type` (`workspace_id`,`slug`);--> statement-breakpoint
CREATE INDEX `block_type_name` ON `block_type` (`workspace_id`,`name`);--> statement-breakpoint
CREATE TABLE `data_key` (
	`workspace_id` text NOT NULL,
	`id` text NOT NULL,
	`created` integer NOT NULL,
	`wrapped` text NOT NULL,
	`wrapped_by` text NOT NULL,
	PRIMARY KEY(`workspace_id`, `id`)
) WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `data_key_wrapped_by` ON `data_key` (`wrapped_by`);--> statement-breakpoint
CREATE INDEX `deployment_infrastructure_document` ON `deployment` (`workspace_id`,`infrastructure_document_id`) WHERE infrastructure_document_id is not null;--> statement-breakpoint
CREATE INDEX `deployment_storage_document` ON `deployment` (`workspace_id`,`storage_document_id`) WHERE storage_document_id is not null;--> statement-breakpoint
CREATE INDEX `flow_run_infrastructure_document` ON `flow_run` (`workspace_id`,`infrastructure_document_id`) WHERE infrastructure_document_id is not null;