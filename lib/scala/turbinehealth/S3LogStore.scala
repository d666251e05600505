package turbinehealth

import java.io.{FileNotFoundException, IOException}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.FileAlreadyExistsException
import java.util.{Arrays, Iterator}

import scala.jdk.CollectionConverters._

import io.delta.storage.S3SingleDriverLogStore
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileSystem, Path}

/**
 * Delta's commits on S3, safe for any number of drivers.
 *
 * Delta's own store looks whether a commit is there and then writes it. Two drivers may both find nothing, and the
 * later one wipes out the earlier one's commit. Here S3 itself refuses the second.
 */
class S3LogStore(conf: Configuration) extends S3SingleDriverLogStore(conf) {

  override def write(path: Path, actions: Iterator[String], overwrite: java.lang.Boolean, hadoopConf: Configuration): Unit =
    if (overwrite) super.write(path, actions, overwrite, hadoopConf)
    else {
      val content = actions.asScala.map(_ + "\n").mkString.getBytes(UTF_8)
      val files = path.getFileSystem(hadoopConf)
      try create(files, path, content)
      catch {
        case failure: IOException =>
          existing(files, path) match {
            // When S3's answer is lost, the client asks again, and is refused because of its own first request.
            case Some(kept) if Arrays.equals(kept, content) => ()
            case Some(_) => throw new FileAlreadyExistsException(path.toString)
            case None => throw failure
          }
      }
    }

  private def create(files: FileSystem, path: Path, content: Array[Byte]): Unit = {
    val stream = ConditionalWrite.begin(files, path)
    try stream.write(content)
    catch {
      // Closed, it would stand there by half.
      case failure: Throwable => stream.abort(); throw failure
    }
    stream.close()
  }

  private def existing(files: FileSystem, path: Path): Option[Array[Byte]] =
    try {
      val stream = files.open(path)
      try Some(stream.readAllBytes())
      finally stream.close()
    } catch {
      case _: FileNotFoundException => None
    }
}
