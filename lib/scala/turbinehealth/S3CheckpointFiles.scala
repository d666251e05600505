package turbinehealth

import java.io.IOException

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FSDataOutputStream, FileAlreadyExistsException, Path}
import org.apache.spark.sql.execution.streaming.checkpointing.AbstractFileContextBasedCheckpointFileManager
import org.apache.spark.sql.execution.streaming.checkpointing.CheckpointFileManager.CancellableFSDataOutputStream

/**
 * The checkpoints of ingest on S3, where two runs cannot both plan the same batch.
 *
 * Spark's own manager writes beside the place and renames. S3 knows no renaming: the client looks, copies and deletes,
 * and of two runs that look at once, the later one wipes out the earlier one's plan.
 */
class S3CheckpointFiles(path: Path, conf: Configuration) extends AbstractFileContextBasedCheckpointFileManager(path, conf) {

  override def createAtomic(file: Path, overwriteIfPossible: Boolean): CancellableFSDataOutputStream = {
    val files = file.getFileSystem(conf)
    if (overwriteIfPossible) new AtOnce(files.create(file, true), file) else new AtOnce(ConditionalWrite.begin(files, file), file)
  }

  private class AtOnce(stream: FSDataOutputStream, file: Path) extends CancellableFSDataOutputStream(stream) {
    private var isDone = false

    override def cancel(): Unit = if (!isDone) {
      isDone = true
      stream.abort()
    }

    override def close(): Unit = if (!isDone) {
      isDone = true
      try stream.close()
      catch {
        // Also where it is our own, its answer lost: then this run ends, and the next one goes on from it.
        case failure: IOException if exists(file) => throw new FileAlreadyExistsException(s"$file: $failure")
      }
    }
  }
}
